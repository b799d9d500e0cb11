<?xml version="1.0" encoding="UTF-8"?>
<!--
2.10 to 3.0, step 0: unfold references to sets, so that the next step can change a set differently where it is used
differently. Ids of a copy tell what it is a copy of, for step 2.
-->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="xml" encoding="UTF-8" indent="yes" omit-xml-declaration="yes"/>

  <xsl:template match="@*|node()">
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
    </xsl:copy>
  </xsl:template>

  <!-- The state of the cluster is not configuration. -->
  <xsl:template match="/cib/status/node()">
    <xsl:copy-of select="."/>
  </xsl:template>

  <xsl:key name="set" match="cluster_property_set|instance_attributes|meta_attributes|utilization" use="@id"/>

  <xsl:template match="cluster_property_set[@id-ref]|instance_attributes[@id-ref]|meta_attributes[@id-ref]
                       |utilization[@id-ref]">
    <xsl:variable name="target" select="key('set', @id-ref)[name() = name(current())][1]"/>
    <xsl:variable name="id" select="@id-ref"/>
    <xsl:choose>
      <xsl:when test="$target">
        <xsl:copy>
          <xsl:attribute name="id"><xsl:value-of select="concat('_cibtr-2_', $id)"/></xsl:attribute>
          <xsl:copy-of select="$target/@*[name() != 'id']"/>
          <xsl:apply-templates select="$target/node()" mode="unfold">
            <xsl:with-param name="prefix" select="concat('__cibtr-2_', $id, '__')"/>
          </xsl:apply-templates>
        </xsl:copy>
      </xsl:when>
      <xsl:otherwise>
        <xsl:copy-of select="."/>
      </xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <xsl:template match="node()" mode="unfold">
    <xsl:param name="prefix"/>
    <xsl:copy>
      <xsl:apply-templates select="@*|node()" mode="unfold">
        <xsl:with-param name="prefix" select="$prefix"/>
      </xsl:apply-templates>
    </xsl:copy>
  </xsl:template>
  <xsl:template match="@*" mode="unfold">
    <xsl:copy/>
  </xsl:template>
  <xsl:template match="@id" mode="unfold">
    <xsl:param name="prefix"/>
    <xsl:attribute name="id"><xsl:value-of select="concat($prefix, .)"/></xsl:attribute>
  </xsl:template>

</xsl:stylesheet>
