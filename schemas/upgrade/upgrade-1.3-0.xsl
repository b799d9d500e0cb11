<?xml version="1.0" encoding="UTF-8"?>
<!--
1.3 to 2.0: access control lists.

2.0 has targets with roles only, and one kind of permission; rights that a user had by himself become a role of his own.
A permission selects by reference, by XPath or by kind of element, not by several of them.
-->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="xml" encoding="UTF-8" indent="yes" omit-xml-declaration="yes"/>

  <xsl:template match="@*|node()">
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
    </xsl:copy>
  </xsl:template>

  <xsl:template match="/cib/status/node()">
    <xsl:copy-of select="."/>
  </xsl:template>

  <xsl:template match="/cib/@validate-with">
    <xsl:attribute name="validate-with">pacemaker-2.0</xsl:attribute>
  </xsl:template>

  <xsl:template match="acls/acl_user">
    <xsl:variable name="rights" select="read|write|deny"/>
    <acl_target>
      <xsl:copy-of select="@*"/>
      <xsl:apply-templates select="node()[not(self::read or self::write or self::deny)][not($rights) or self::*]"/>
      <xsl:if test="$rights">
        <role id="auto-{@id}"/>
      </xsl:if>
    </acl_target>
    <xsl:if test="$rights">
      <acl_role id="auto-{@id}">
        <xsl:apply-templates select="$rights"/>
      </acl_role>
    </xsl:if>
  </xsl:template>

  <xsl:template match="acl_user/role_ref">
    <role id="{@id}"/>
  </xsl:template>

  <xsl:template match="acls/*/read|acls/*/write|acls/*/deny">
    <acl_permission id="{@id}" kind="{name()}">
      <xsl:choose>
        <xsl:when test="@ref">
          <xsl:if test="@attribute">
            <xsl:message>WARNING: ACLs: <xsl:value-of select="@id"/>: dropping attribute, as it can't accompany a <!--
              -->reference: the permission is for the whole element</xsl:message>
          </xsl:if>
          <xsl:attribute name="reference"><xsl:value-of select="@ref"/></xsl:attribute>
        </xsl:when>
        <xsl:when test="@xpath and @attribute">
          <xsl:attribute name="xpath"><xsl:value-of select="concat(@xpath, '[@', @attribute, ']')"/></xsl:attribute>
        </xsl:when>
        <xsl:when test="@xpath">
          <xsl:copy-of select="@xpath"/>
        </xsl:when>
        <xsl:otherwise>
          <xsl:attribute name="object-type"><xsl:value-of select="@tag"/></xsl:attribute>
          <xsl:copy-of select="@attribute"/>
        </xsl:otherwise>
      </xsl:choose>
    </acl_permission>
  </xsl:template>

</xsl:stylesheet>
