<?xml version="1.0" encoding="UTF-8"?>
<!--
3.10 to 4.0, last step: fold copies into references again and take the marks away.

A copy whose original is still there becomes a reference to it. Where the original went, the first copy takes its place
and the others refer to that one.
-->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="xml" encoding="UTF-8" indent="yes" omit-xml-declaration="yes"/>
  <xsl:strip-space elements="*"/>

  <xsl:key name="kept" use="@id"
           match="*[not(@original = '0')][not(self::resource_ref or self::obj_ref or self::role)]"/>
  <xsl:key name="copy" match="*[@original = '0'][not(self::resource_ref)]" use="@id"/>
  <xsl:key name="any" match="*[not(self::resource_ref or self::obj_ref or self::role)]" use="@id"/>

  <xsl:template match="/">
    <xsl:if test="cib/configuration/acls//acl_permission[@xpath]">
      <xsl:message>WARNING: CIB syntax changes may invalidate ACLs that use "xpath". It is strongly recommended to run <!--
        -->"cibadmin --upgrade" and then examine the updated CIB carefully to ensure ACLs still match the desired <!--
        -->intent.</xsl:message>
    </xsl:if>
    <xsl:apply-templates/>
  </xsl:template>

  <xsl:template match="@*|node()">
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
    </xsl:copy>
  </xsl:template>

  <xsl:template match="@original|@changed|dropped"/>

  <xsl:template match="configuration//*[@original = '0'][@id][not(self::resource_ref)]">
    <!-- Copies inside of what becomes a reference are not there any more. -->
    <xsl:variable name="first"
                  select="key('copy', @id)[not(ancestor::*[@original = '0'][@id][key('kept', @id)])][1]"/>
    <xsl:choose>
      <xsl:when test="key('kept', @id) or generate-id() != generate-id($first)">
        <xsl:copy>
          <xsl:attribute name="id-ref"><xsl:value-of select="@id"/></xsl:attribute>
        </xsl:copy>
      </xsl:when>
      <xsl:otherwise>
        <xsl:copy>
          <xsl:apply-templates select="@*|node()"/>
        </xsl:copy>
      </xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <!-- A right on what is gone matches nothing. -->
  <xsl:template match="acl_permission/@reference">
    <xsl:choose>
      <xsl:when test="key('any', .)">
        <xsl:copy/>
      </xsl:when>
      <xsl:otherwise>
        <xsl:attribute name="xpath">/*[false()]</xsl:attribute>
      </xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <!-- The state of the cluster is not configuration. -->
  <xsl:template match="/cib/status/node()">
    <xsl:copy-of select="."/>
  </xsl:template>

</xsl:stylesheet>
