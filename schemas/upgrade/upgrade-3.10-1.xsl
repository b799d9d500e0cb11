<?xml version="1.0" encoding="UTF-8"?>
<!--
3.10 to 4.0, step 1: what needs no look at another place, and the order of sets.

Where several sets of name-value pairs apply, 4.0 takes them as they stand; up to 3.10 their scores decided. So they are
sorted here, highest score first, behind their siblings; the cluster options' first set stays first.
-->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="xml" encoding="UTF-8" indent="yes" omit-xml-declaration="yes"/>
  <xsl:strip-space elements="*"/>

  <xsl:template match="@*|node()">
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
    </xsl:copy>
  </xsl:template>

  <!-- The state of the cluster is not configuration. -->
  <xsl:template match="/cib/status/node()">
    <xsl:copy-of select="."/>
  </xsl:template>

  <xsl:template match="/cib/@validate-with">
    <xsl:attribute name="validate-with">pacemaker-4.0</xsl:attribute>
  </xsl:template>

  <!-- Order of sets. -->

  <xsl:template match="configuration//*[cluster_property_set or instance_attributes or meta_attributes or utilization]">
    <xsl:copy>
      <xsl:apply-templates select="@*"/>
      <xsl:apply-templates select="node()[not(self::cluster_property_set or self::instance_attributes
                                              or self::meta_attributes or self::utilization)]"/>
      <xsl:apply-templates select="cluster_property_set[@id = 'cib-bootstrap-options']"/>
      <xsl:apply-templates select="cluster_property_set[not(@id = 'cib-bootstrap-options')]
                                   | instance_attributes | meta_attributes | utilization">
        <xsl:sort order="descending" data-type="number"
                  select="(@score = 'INFINITY' or @score = '+INFINITY') - (@score = '-INFINITY')"/>
        <!-- No score counts as 0. -->
        <xsl:sort order="descending" data-type="number"
                  select="concat(translate(@score, '+', ''), substring('0', 1 + boolean(@score)))"/>
      </xsl:apply-templates>
    </xsl:copy>
  </xsl:template>

  <!-- Cluster options. -->

  <xsl:template match="cluster_property_set/nvpair[@name = 'remove-after-stop']" priority="2">
    <xsl:if test="@original = '1'">
      <xsl:message>WARNING: Dropping nvpair <xsl:value-of select="@id"/> because the remove-after-stop property is <!--
        -->unsupported</xsl:message>
    </xsl:if>
    <dropped/>
  </xsl:template>

  <xsl:template match="cluster_property_set/nvpair/@name[. = 'crmd-finalization-timeout'
                                                         or . = 'crmd-integration-timeout']">
    <xsl:attribute name="name"><xsl:value-of select="concat('join', substring-after(., 'crmd'))"/></xsl:attribute>
    <xsl:attribute name="changed">1</xsl:attribute>
  </xsl:template>

  <xsl:template match="cluster_property_set/nvpair/@name[. = 'crmd-transition-delay']">
    <xsl:attribute name="name">transition-delay</xsl:attribute>
    <xsl:attribute name="changed">1</xsl:attribute>
  </xsl:template>

  <xsl:template match="cluster_property_set/nvpair[@name = 'stonith-action']/@value[. = 'poweroff']">
    <xsl:attribute name="value">off</xsl:attribute>
    <xsl:attribute name="changed">1</xsl:attribute>
  </xsl:template>

  <!-- Pairs without a value say nothing. -->
  <xsl:template match="configuration//nvpair[not(@value)]">
    <dropped/>
  </xsl:template>

  <!-- The phase of the moon can't be asked for any more. -->
  <xsl:template match="date_spec/@moon">
    <xsl:if test="../@original = '1'">
      <xsl:message>WARNING: Dropping moon attribute from date spec <xsl:value-of select="../@id"/> because moon phase is <!--
        -->no longer supported</xsl:message>
    </xsl:if>
    <xsl:attribute name="changed">1</xsl:attribute>
  </xsl:template>

  <!-- Levels above 9 were never tried. -->
  <xsl:template match="fencing-level[@index &gt; 9]">
    <dropped/>
  </xsl:template>

</xsl:stylesheet>
